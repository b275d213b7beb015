// The bill of Volcano Engine, of which Ark is a product: the details by billing item that its console exports and its API
// `ListBillDetail` lists. The pages name the fields, not the headings of the table: both are known here.

import type { BillFormat } from '#core/bill.ts'

export const bill: BillFormat = {
  source:
    'https://www.volcengine.com/docs/6269/1127842 (ListBillDetail: fields), https://www.volcengine.com/docs/6269/139896 (files of bills)',
  columns: {
    time: [
      '消费日期',
      '账单日期',
      '日期',
      'ExpenseDate',
      '消费开始时间',
      'ExpenseBeginTime',
      '账期',
      'BillPeriod',
    ],
    model: ['模型名称', '配置名称', 'ConfigName', '实例名称', 'InstanceName'],
    item: ['计费项', '计费单元', 'ElementName', 'Element'],
    request: ['请求ID', 'RequestId'],
    quantity: ['用量', 'Count'],
    quantity_unit: ['用量单位', 'Unit'],
    unit_price: ['单价', 'Price'],
    price_unit: ['单价单位', '价格单位', 'PriceUnit'],
    list: ['原价', 'OriginalBillAmount'],
    amount: ['应付金额', 'PayableAmount', '折后价', '优惠后金额', 'DiscountBillAmount'],
    free_quantity: ['抵扣用量', '资源包抵扣量', 'DeductionCount'],
    currency: ['币种', 'Currency'],
  },
  timeZone: 'Asia/Shanghai',
  currency: 'CNY',
}
