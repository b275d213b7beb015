// The bill of Baidu AI Cloud, of which Qianfan is a product: details by billing item (`GetResourceChargeItemBillList`). Its
// API says instants in UTC; the days of the table are those of Beijing.

import type { BillFormat } from '#core/bill.ts'

export const bill: BillFormat = {
  source:
    'https://cloud.baidu.com/doc/Finance/s/Bjxg02xim (fields and their Chinese names), https://cloud.baidu.com/doc/Finance/s/qlfuqsf02 (bills by billing item)',
  columns: {
    time: [
      '账单日期',
      '消费日期',
      '日期',
      '账单开始时间',
      '资源账单开始时间',
      'startTime',
      '账单月份',
      'billMonth',
    ],
    model: ['模型名称', '资源ID', '实例ID', 'instanceId', '产品中文配置', 'configurationCH'],
    item: ['计费项', '后付费计费项中文名', '计费项名称', 'chargeItemDesc', 'chargeItem'],
    request: ['请求ID', 'requestId'],
    quantity: ['用量', 'amount'],
    quantity_unit: ['用量单位', 'amountUnit'],
    unit_price: ['单价', '产品单价', 'unitPrice'],
    price_unit: ['价格单位', '单价单位', 'pricingUnit'],
    list: ['原价', 'catalogPrice'],
    amount: ['应付金额', 'financePrice', '账单金额', 'originPrice'],
    free_quantity: ['抵扣用量', '折扣用量', 'discountAmount'],
    currency: ['币种', 'currency'],
  },
  timeZone: 'Asia/Shanghai',
  currency: 'CNY',
}
